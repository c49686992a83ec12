BEGIN TRANSACTION;
CREATE TABLE bojax_schema (
	id INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "bojax_schema" VALUES(1,1);
CREATE TABLE checkpoints (
	run VARCHAR(200) NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	file VARCHAR(300) NOT NULL, 
	checksum VARCHAR(200) NOT NULL, 
	size INTEGER NOT NULL, 
	meta TEXT NOT NULL, 
	PRIMARY KEY (run, name), 
	FOREIGN KEY(run) REFERENCES runs (id)
);
INSERT INTO "checkpoints" VALUES('main','population','population-b90674527486c68f.ckpt','b90674527486c68f2228071e40e61c7f33f8ac9134ee8deffa7baa1e1e00c492',64,'{}');
CREATE TABLE histories (
	run VARCHAR(200) NOT NULL, 
	capacity INTEGER NOT NULL, 
	columns INTEGER NOT NULL, 
	objectives INTEGER NOT NULL, 
	constraints INTEGER NOT NULL, 
	PRIMARY KEY (run), 
	FOREIGN KEY(run) REFERENCES runs (id)
);
INSERT INTO "histories" VALUES('main',9,4,1,0);
CREATE TABLE leases (
	run VARCHAR(200) NOT NULL, 
	fence INTEGER NOT NULL, 
	host VARCHAR(300), 
	pid INTEGER, 
	process VARCHAR(300), 
	since VARCHAR(40), 
	expires FLOAT, 
	PRIMARY KEY (run), 
	FOREIGN KEY(run) REFERENCES runs (id)
);
INSERT INTO "leases" VALUES('main',1,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE lines (
	run VARCHAR(200) NOT NULL, 
	trial INTEGER NOT NULL, 
	line INTEGER NOT NULL, 
	status INTEGER NOT NULL, 
	count BLOB NOT NULL, 
	cost BLOB NOT NULL, 
	rows BLOB NOT NULL, 
	"values" BLOB NOT NULL, 
	variance BLOB NOT NULL, 
	constraints BLOB NOT NULL, 
	tag BLOB NOT NULL, 
	raw BLOB NOT NULL, 
	PRIMARY KEY (run, trial, line), 
	FOREIGN KEY(run) REFERENCES runs (id)
);
INSERT INTO "lines" VALUES('main',0,0,2,X'000000000000F03F',X'000000000000F87F',X'0000152D16D1C53F398EE3388EE3D83F00000000000000000000000000000000',X'127A12526DF3F63F',X'0000000000000000',X'',X'00000000000000000000000000000000',X'F8CD142D16D1C53FA8A557061C75D53F080A0C96D8FADF3F54945BA21D28D13F');
INSERT INTO "lines" VALUES('main',1,0,2,X'000000000000F03F',X'000000000000F87F',X'0000182C10BFD93F398EE3388EE3D83F00000000000000000000000000000000',X'6A05E6DA6E9CF03F',X'0000000000000000',X'',X'00000000000000000000000000000000',X'F416182C10BFD93FDCBA78170611DA3F909A0F829F53D13F60AE7567261FD23F');
INSERT INTO "lines" VALUES('main',2,0,2,X'000000000000F03F',X'000000000000F87F',X'0080B45E170DC73FE4388EE3388EE33F00000000000000000000000000000000',X'7CEF0B2FCF8CF63F',X'0000000000000000',X'',X'00000000000000000000000000000000',X'B0ADB45E170DC73FC89A148C66A3E43FC8E5ED771268C83FC073DE6E3691903F');
INSERT INTO "lines" VALUES('main',3,0,2,X'000000000000F03F',X'000000000000F87F',X'00803F7BA448CC3F000000000000E03F00000000000000000000000000000000',X'DD25455AA6FBF43F',X'0000000000000000',X'',X'00000000000000000000000000000000',X'304C3F7BA448CC3F588B8FEB816BE13F8626FC57EFA3EE3FF405A15443E5E93F');
INSERT INTO "lines" VALUES('main',4,0,2,X'000000000000F03F',X'000000000000F87F',X'0020205FDE4BEE3FE4388EE3388EE33F00000000000000000000000000000000',X'1D9746E72CC6FC3F',X'0000000000000000',X'',X'00000000000000000000000000000000',X'7619205FDE4BEE3F2CF14BE1A908E43FBA588274B67FE63F20B71CEB4E20C43F');
INSERT INTO "lines" VALUES('main',5,0,2,X'000000000000F03F',X'000000000000F87F',X'0000379324A3EC3F555555555555C53F00000000000000000000000000000000',X'629C5D5636FBF93F',X'0000000000000000',X'',X'00000000000000000000000000000000',X'640A379324A3EC3F585026EE4B12C63F3C536A53F0CBDB3F50A92F55AB9ED53F');
INSERT INTO "lines" VALUES('main',6,0,2,X'000000000000F03F',X'000000000000F87F',X'004090E61B26DC3FE4388EE3388EE33F00000000000000000000000000000000',X'14ED5B34533BF03F',X'0000000000000000',X'',X'00000000000000000000000000000000',X'183790E61B26DC3F3EC00B167239E43FB090E0B09804BB3F106C6A56C789DE3F');
INSERT INTO "lines" VALUES('main',7,0,2,X'000000000000F03F',X'000000000000F87F',X'00007A90C6E4B53F555555555555C53F00000000000000000000000000000000',X'4858619DA3FEFA3F',X'0000000000000000',X'',X'00000000000000000000000000000000',X'B03F7A90C6E4B53F78EEB8444918C63FC0E320BB0B9B9A3FBC69AFB50207D63F');
INSERT INTO "lines" VALUES('main',8,0,2,X'000000000000F03F',X'000000000000F87F',X'0000EC99BD69D03F000000000000E03F00000000000000000000000000000000',X'ECC05CE7CFCBF33F',X'0000000000000000',X'',X'00000000000000000000000000000000',X'4811EC99BD69D03FD0D73E36DC64DE3F3293A2BA861DE43FF68B4AB3886BE63F');
CREATE TABLE reports (
	run VARCHAR(200) NOT NULL, 
	trial INTEGER NOT NULL, 
	budget FLOAT NOT NULL, 
	record TEXT NOT NULL, 
	PRIMARY KEY (run, trial, budget), 
	FOREIGN KEY(run) REFERENCES runs (id)
);
INSERT INTO "reports" VALUES('main',0,1.0,'{"schema": 1, "trial": 0, "budget": 1, "metrics": {"loss": 1.4344304281181661}, "status": 2, "values": [1.4344304281181661], "variance": null, "constraints": null, "seconds": {"float": "NaN"}, "examples": {"float": "NaN"}}');
INSERT INTO "reports" VALUES('main',1,1.0,'{"schema": 1, "trial": 1, "budget": 1, "metrics": {"loss": 1.038191657135338}, "status": 2, "values": [1.038191657135338], "variance": null, "constraints": null, "seconds": {"float": "NaN"}, "examples": {"float": "NaN"}}');
INSERT INTO "reports" VALUES('main',2,1.0,'{"schema": 1, "trial": 2, "budget": 1, "metrics": {"loss": 1.4093772733458243}, "status": 2, "values": [1.4093772733458243], "variance": null, "constraints": null, "seconds": {"float": "NaN"}, "examples": {"float": "NaN"}}');
INSERT INTO "reports" VALUES('main',3,1.0,'{"schema": 1, "trial": 3, "budget": 1, "metrics": {"loss": 1.3114379430938847}, "status": 2, "values": [1.3114379430938847], "variance": null, "constraints": null, "seconds": {"float": "NaN"}, "examples": {"float": "NaN"}}');
INSERT INTO "reports" VALUES('main',4,1.0,'{"schema": 1, "trial": 4, "budget": 1, "metrics": {"loss": 1.7983826669892047}, "status": 2, "values": [1.7983826669892047], "variance": null, "constraints": null, "seconds": {"float": "NaN"}, "examples": {"float": "NaN"}}');
INSERT INTO "reports" VALUES('main',5,1.0,'{"schema": 1, "trial": 5, "budget": 1, "metrics": {"loss": 1.623831117025269}, "status": 2, "values": [1.623831117025269], "variance": null, "constraints": null, "seconds": {"float": "NaN"}, "examples": {"float": "NaN"}}');
INSERT INTO "reports" VALUES('main',6,1.0,'{"schema": 1, "trial": 6, "budget": 1, "metrics": {"loss": 1.0144836468960579}, "status": 2, "values": [1.0144836468960579], "variance": null, "constraints": null, "seconds": {"float": "NaN"}, "examples": {"float": "NaN"}}');
INSERT INTO "reports" VALUES('main',7,1.0,'{"schema": 1, "trial": 7, "budget": 1, "metrics": {"loss": 1.687167753950705}, "status": 2, "values": [1.687167753950705], "variance": null, "constraints": null, "seconds": {"float": "NaN"}, "examples": {"float": "NaN"}}');
INSERT INTO "reports" VALUES('main',8,1.0,'{"schema": 1, "trial": 8, "budget": 1, "metrics": {"loss": 1.2372588193502976}, "status": 2, "values": [1.2372588193502976], "variance": null, "constraints": null, "seconds": {"float": "NaN"}, "examples": {"float": "NaN"}}');
CREATE TABLE runs (
	id VARCHAR(200) NOT NULL, 
	position INTEGER NOT NULL, 
	record TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (position)
);
INSERT INTO "runs" VALUES('main',0,'{"schema": 1, "id": "main", "space": {"version": 1, "parameters": [{"name": "x", "type": "float", "low": -1.0, "high": 1.0, "log": false, "step": null}, {"name": "n", "type": "int", "low": 1, "high": 9, "log": false, "step": 1}, {"name": "epochs", "type": "float", "low": 1.0, "high": 9.0, "log": true, "step": null}], "fidelity": "epochs", "context": []}, "objectives": {"loss": "minimize"}, "seed": 3, "versions": {}, "hardware": {}, "started": "", "command": "", "settings": {}}');
CREATE TABLE states (
	run VARCHAR(200) NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	text TEXT, 
	data BLOB, 
	PRIMARY KEY (run, name), 
	FOREIGN KEY(run) REFERENCES runs (id)
);
INSERT INTO "states" VALUES('main','strategy','[{"dtype": "<i4", "shape": [], "hex": "09000000"}]',NULL);
INSERT INTO "states" VALUES('main','scheduler','{"version": 1, "method": "successive_halving", "settings": {"eta": 3, "min_budget": 1, "max_budget": 9, "bracket": 9}, "sizes": [9], "bracket": 0, "rung": 1, "members": [1, 6, 8], "running": [], "values": []}',NULL);
INSERT INTO "states" VALUES('main','progress','{"spent": 9.0}',NULL);
CREATE TABLE trials (
	run VARCHAR(200) NOT NULL, 
	trial INTEGER NOT NULL, 
	record TEXT NOT NULL, 
	PRIMARY KEY (run, trial), 
	FOREIGN KEY(run) REFERENCES runs (id)
);
INSERT INTO "trials" VALUES('main',0,'{"schema": 1, "id": 0, "config": {"x": -0.6591133651490964, "n": 4}, "row": [0.17044331742545182, 0.3888888888888889, 1.0, 0.0], "status": 5, "values": [1.4344304281181661], "variance": null, "constraints": null, "cost": {"float": "NaN"}, "fidelity": 1.0, "curve": [[1.0, {"loss": 1.4344304281181661}]], "seed": 3, "parent": null, "retry_of": null, "source": "Random", "info": {}}');
INSERT INTO "trials" VALUES('main',1,'{"schema": 1, "id": 1, "config": {"x": -0.1954268587869592, "n": 4}, "row": [0.4022865706065204, 0.3888888888888889, 1.0, 0.0], "status": 4, "values": [1.038191657135338], "variance": null, "constraints": null, "cost": {"float": "NaN"}, "fidelity": 1.0, "curve": [[1.0, {"loss": 1.038191657135338}]], "seed": 3, "parent": null, "retry_of": null, "source": "Random", "info": {}}');
INSERT INTO "trials" VALUES('main',2,'{"schema": 1, "id": 2, "config": {"x": -0.6398259711404535, "n": 6}, "row": [0.18008701442977326, 0.6111111111111112, 1.0, 0.0], "status": 5, "values": [1.4093772733458243], "variance": null, "constraints": null, "cost": {"float": "NaN"}, "fidelity": 1.0, "curve": [[1.0, {"loss": 1.4093772733458243}]], "seed": 3, "parent": null, "retry_of": null, "source": "Random", "info": {}}');
INSERT INTO "trials" VALUES('main',3,'{"schema": 1, "id": 3, "config": {"x": -0.558066253319339, "n": 5}, "row": [0.2209668733403305, 0.5, 1.0, 0.0], "status": 5, "values": [1.3114379430938847], "variance": null, "constraints": null, "cost": {"float": "NaN"}, "fidelity": 1.0, "curve": [[1.0, {"loss": 1.3114379430938847}]], "seed": 3, "parent": null, "retry_of": null, "source": "Random", "info": {}}');
INSERT INTO "trials" VALUES('main',4,'{"schema": 1, "id": 4, "config": {"x": 0.8935226169433008, "n": 6}, "row": [0.9467613084716504, 0.6111111111111112, 1.0, 0.0], "status": 5, "values": [1.7983826669892047], "variance": null, "constraints": null, "cost": {"float": "NaN"}, "fidelity": 1.0, "curve": [[1.0, {"loss": 1.7983826669892047}]], "seed": 3, "parent": null, "retry_of": null, "source": "Random", "info": {}}');
INSERT INTO "trials" VALUES('main',5,'{"schema": 1, "id": 5, "config": {"x": 0.7898298025684198, "n": 2}, "row": [0.8949149012842099, 0.16666666666666666, 1.0, 0.0], "status": 5, "values": [1.623831117025269], "variance": null, "constraints": null, "cost": {"float": "NaN"}, "fidelity": 1.0, "curve": [[1.0, {"loss": 1.623831117025269}]], "seed": 3, "parent": null, "retry_of": null, "source": "Random", "info": {}}');
INSERT INTO "trials" VALUES('main',6,'{"schema": 1, "id": 6, "config": {"x": -0.1203480240637873, "n": 6}, "row": [0.43982598796810635, 0.6111111111111112, 1.0, 0.0], "status": 4, "values": [1.0144836468960579], "variance": null, "constraints": null, "cost": {"float": "NaN"}, "fidelity": 1.0, "curve": [[1.0, {"loss": 1.0144836468960579}]], "seed": 3, "parent": null, "retry_of": null, "source": "Random", "info": {}}');
INSERT INTO "trials" VALUES('main',7,'{"schema": 1, "id": 7, "config": {"x": -0.8289558214710269, "n": 2}, "row": [0.08552208926448657, 0.16666666666666666, 1.0, 0.0], "status": 5, "values": [1.687167753950705], "variance": null, "constraints": null, "cost": {"float": "NaN"}, "fidelity": 1.0, "curve": [[1.0, {"loss": 1.687167753950705}]], "seed": 3, "parent": null, "retry_of": null, "source": "Random", "info": {}}');
INSERT INTO "trials" VALUES('main',8,'{"schema": 1, "id": 8, "config": {"x": -0.4870922082627658, "n": 5}, "row": [0.2564538958686171, 0.5, 1.0, 0.0], "status": 4, "values": [1.2372588193502976], "variance": null, "constraints": null, "cost": {"float": "NaN"}, "fidelity": 1.0, "curve": [[1.0, {"loss": 1.2372588193502976}]], "seed": 3, "parent": null, "retry_of": null, "source": "Random", "info": {}}');
COMMIT;
